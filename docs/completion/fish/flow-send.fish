# fish completion for flow-send
complete -c flow-send -s d -l debug -x -d 'debug level'
complete -c flow-send -s m -l mask -x -d 'privacy AND source and destination addresses with this mask'
complete -c flow-send -s s -l spoof -d 'make the IP and UDP headers here source localip, source port'
complete -c flow-send -s V -l record-version -x -d 'version of the flows, N or 8.M'
complete -c flow-send -s x -l delay -x -d 'sleep this many microseconds after each datagram'
complete -c flow-send -s h -l help -d 'print help'
complete -c flow-send -l version -d 'print the version'
