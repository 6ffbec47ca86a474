# fish completion for flow-export
complete -c flow-export -f
complete -c flow-export -s d -l debug -x -d 'debug level'
complete -c flow-export -s f -l format -x -a 'cflowd pcap csv mysql wire pgsql sqlite json parquet' -d 'number or name of the format'
complete -c flow-export -s m -l mask -x -d 'fields to export a number, or names separated by commas in'
complete -c flow-export -s u -l uri -x -d 'database USERPASSWORDHOSTPORTNAMETABLE, a URL, or FILETABLE'
complete -c flow-export -l password-file -r -F -d 'file whose first line is the password, when -u has none'
complete -c flow-export -l create -d 'make the table if there is none'
complete -c flow-export -l on-conflict -x -a 'fail ignore replace' -d 'a row whose key is there already fail'
complete -c flow-export -l once -d 'load no records twice remember each load in the table'
complete -c flow-export -l ledger -x -d 'the table of --once, which this implies'
complete -c flow-export -l index -x -d 'fields to index in an SQLite table'
complete -c flow-export -s h -l help -d 'print help'
complete -c flow-export -l version -d 'print the version'
