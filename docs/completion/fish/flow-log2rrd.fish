# fish completion for flow-log2rrd
complete -c flow-log2rrd -s p -l path -r -F -d 'folder of the databases'
complete -c flow-log2rrd -l help -d 'print help with notes and examples'
complete -c flow-log2rrd -l version -d 'print the version'
