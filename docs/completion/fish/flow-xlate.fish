# fish completion for flow-xlate
complete -c flow-xlate -f
complete -c flow-xlate -s x -l xlate-file -r -F -d 'xlate file'
complete -c flow-xlate -s X -l xlate -x -d 'definition in the xlate file'
complete -c flow-xlate -s n -l no-file -d 'use no xlate file, only convert the version'
complete -c flow-xlate -s V -l record-version -x -d 'record version of the output 1, 5, 6, 7, 8.N or 1005'
complete -c flow-xlate -s v -l variable -x -d 'value of @name in the xlate file'
complete -c flow-xlate -s b -l byte-order -x -a 'big little' -d 'byte order of the output'
complete -c flow-xlate -s C -l comment -x -d 'comment in the output header'
complete -c flow-xlate -s d -l debug -x -d 'debug level'
complete -c flow-xlate -s k -l keep-times -d 'mark the output as preloaded if the input has capture times'
complete -c flow-xlate -s z -l compress -x -d 'zlib level of the output, 0'
complete -c flow-xlate -s h -l help -d 'print help'
complete -c flow-xlate -l version -d 'print the version'
