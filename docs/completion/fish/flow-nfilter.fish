# fish completion for flow-nfilter
complete -c flow-nfilter -f
complete -c flow-nfilter -s f -l filter-file -r -F -d 'filter file'
complete -c flow-nfilter -s F -l filter -x -d 'definition in the filter file'
complete -c flow-nfilter -s v -l variable -x -d 'value of @name in the filter file'
complete -c flow-nfilter -s b -l byte-order -x -a 'big little' -d 'byte order of the output'
complete -c flow-nfilter -s C -l comment -x -d 'comment in the output header'
complete -c flow-nfilter -s d -l debug -x -d 'debug level'
complete -c flow-nfilter -s k -l keep-times -d 'mark the output as preloaded if the input has capture times'
complete -c flow-nfilter -s z -l compress -x -d 'zlib level of the output, 0'
complete -c flow-nfilter -s h -l help -d 'print help'
complete -c flow-nfilter -l version -d 'print the version'
