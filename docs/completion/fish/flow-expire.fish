# fish completion for flow-expire
complete -c flow-expire -f
complete -c flow-expire -s d -l debug -x -d 'not 0 list on standard error what would be done, delete'
complete -c flow-expire -s e -l count -x -d 'keep at most this many files'
complete -c flow-expire -s E -l size -x -d 'keep at most this many octets, K M G being powers of 1024'
complete -c flow-expire -s w -l directory -r -F -d 'where the files are, with all below'
complete -c flow-expire -s h -l help -d 'print help'
complete -c flow-expire -l version -d 'print the version'
