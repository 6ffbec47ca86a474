# fish completion for flow-report
complete -c flow-report -f
complete -c flow-report -s d -l debug -x -d 'debug level'
complete -c flow-report -s s -l report-file -r -F -d 'report file'
complete -c flow-report -s S -l report -x -d 'definition in the report file'
complete -c flow-report -s v -l variable -x -d 'value of @name in the report file, and in filter and tag'
complete -c flow-report -l table -d 'print an aligned table with units, for people'
complete -c flow-report -l json -d 'print one JSON document'
complete -c flow-report -l csv -d 'print comma separated values under a line of names'
complete -c flow-report -s h -l help -d 'print help'
complete -c flow-report -l version -d 'print the version'
