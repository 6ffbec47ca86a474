# fish completion for flow-split
complete -c flow-split -f
complete -c flow-split -s g -l source-tag -d 'a series of files for each source tag'
complete -c flow-split -s G -l destination-tag -d 'a series of files for each destination tag'
complete -c flow-split -s n -l names -d 'with -g or -G names of tags in file names'
complete -c flow-split -s N -l flows -x -d 'a new file after this many flows'
complete -c flow-split -s o -l output -x -d 'names begin with base'
complete -c flow-split -s T -l seconds -x -d 'a new file when more than this many seconds passed'
complete -c flow-split -s b -l byte-order -x -a 'big little' -d 'byte order of the output'
complete -c flow-split -s C -l comment -x -d 'comment in the output header'
complete -c flow-split -s d -l debug -x -d 'debug level'
complete -c flow-split -s z -l compress -x -d 'zlib level of the output, 0'
complete -c flow-split -s h -l help -d 'print help'
complete -c flow-split -l version -d 'print the version'
