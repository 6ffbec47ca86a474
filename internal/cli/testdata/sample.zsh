#compdef flow-sample
_flow_sample() {
    _arguments -s -S \
        '(-f --format)'{-f+,--format=}'[format]:n:' \
        '(-w --wide)'{-w,--wide}'[wide layout]' \
        '-C+[comment]:comment:' \
        '(-o --output)'{-o+,--output=}'[output file]:file:_files' \
        '*'{-v,--verbose}'[say more]' \
        '(-m --mask)'{-m+,--mask=}'[mask]:mask:' \
        '--strict[be strict]' \
        '(-b --byte-order)'{-b+,--byte-order=}'[byte order of what is written]:order:(big little)' \
        '-Z+[quotes and , brackets, a n and HOME]:ab:' \
        '--an-option-with-a-long-name=[many words many words many words many words many words many]:with-a-long-value:' \
        '(-h --help)'{-h,--help}'[print help]' \
        '--version[print the version]' \
        '*:operand:_files'
}
if [ "$funcstack[1]" = _flow_sample ]; then
    _flow_sample "$@"
else
    compdef _flow_sample flow-sample
fi
