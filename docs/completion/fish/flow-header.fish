# fish completion for flow-header
complete -c flow-header -f
complete -c flow-header -s c -l comment-char -x -d 'character that comment lines start with'
complete -c flow-header -s d -l debug -x -d 'debug level'
complete -c flow-header -s h -l help -d 'print help'
complete -c flow-header -l version -d 'print the version'
