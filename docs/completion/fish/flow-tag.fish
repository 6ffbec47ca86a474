# fish completion for flow-tag
complete -c flow-tag -f
complete -c flow-tag -s t -l tag-file -r -F -d 'tag file'
complete -c flow-tag -s T -l tag -x -d 'definition in the tag file'
complete -c flow-tag -s v -l variable -x -d 'value of @name in the tag file'
complete -c flow-tag -s b -l byte-order -x -a 'big little' -d 'byte order of the output'
complete -c flow-tag -s C -l comment -x -d 'comment in the output header'
complete -c flow-tag -s d -l debug -x -d 'debug level'
complete -c flow-tag -s k -l keep-times -d 'mark the output as preloaded if the input has capture times'
complete -c flow-tag -s z -l compress -x -d 'zlib level of the output, 0'
complete -c flow-tag -s h -l help -d 'print help'
complete -c flow-tag -l version -d 'print the version'
