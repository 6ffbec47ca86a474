# fish completion for flow-mask
complete -c flow-mask -f
complete -c flow-mask -s m -l mask-file -r -F -d 'mask file'
complete -c flow-mask -s M -l mask -x -d 'definition in the mask file'
complete -c flow-mask -s b -l byte-order -x -a 'big little' -d 'byte order of the output'
complete -c flow-mask -s C -l comment -x -d 'comment in the output header'
complete -c flow-mask -s d -l debug -x -d 'debug level'
complete -c flow-mask -s k -l keep-times -d 'mark the output as preloaded if the input has capture times'
complete -c flow-mask -s z -l compress -x -d 'zlib level of the output, 0'
complete -c flow-mask -s h -l help -d 'print help'
complete -c flow-mask -l version -d 'print the version'
