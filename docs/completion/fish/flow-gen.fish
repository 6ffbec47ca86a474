# fish completion for flow-gen
complete -c flow-gen -f
complete -c flow-gen -s b -l byte-order -x -a 'big little' -d 'byte order of the output'
complete -c flow-gen -s d -l debug -x -d 'debug level'
complete -c flow-gen -s n -l count -x -d 'number of records'
complete -c flow-gen -s V -l record-version -x -d 'record version 1, 5, 6, 7, 1005 or 8.1 to 8.14'
complete -c flow-gen -s z -l compress -x -d 'zlib level of the output, 0'
complete -c flow-gen -s h -l help -d 'print help'
complete -c flow-gen -l version -d 'print the version'
