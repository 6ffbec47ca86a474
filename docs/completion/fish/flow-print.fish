# fish completion for flow-print
complete -c flow-print -f
complete -c flow-print -s c -l comment-char -x -d 'character that comment lines start with'
complete -c flow-print -s d -l debug -x -d 'debug level'
complete -c flow-print -s f -l format -x -d 'format number, see below'
complete -c flow-print -s l -l line-buffered -d 'write every record at once'
complete -c flow-print -s n -l names -d 'names of ports, protocols, AS numbers and tags where the'
complete -c flow-print -s p -l header -d 'print the stream header first'
complete -c flow-print -s w -l wide -d 'wide layout, where the format has one'
complete -c flow-print -s h -l help -d 'print help'
complete -c flow-print -l version -d 'print the version'
