# fish completion for flow-import
complete -c flow-import -f
complete -c flow-import -s V -l record-version -x -d 'version of the records to make, such as 5 or 8.1'
complete -c flow-import -s f -l format -x -a 'cflowd pcap csv nfc wire json' -d 'number or name of the format'
complete -c flow-import -s m -l mask -x -d 'columns of the CSV input, members of JSON objects to take a'
complete -c flow-import -s b -l byte-order -x -a 'big little' -d 'byte order of the output'
complete -c flow-import -s d -l debug -x -d 'debug level'
complete -c flow-import -s z -l compress -x -d 'zlib level of the output, 0'
complete -c flow-import -s h -l help -d 'print help'
complete -c flow-import -l version -d 'print the version'
