# bash completion for flow-sample
_flow_sample() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    case $prev in
    -f|--format) return ;;
    -C) return ;;
    -o|--output)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return ;;
    -m|--mask) return ;;
    -b|--byte-order)
        mapfile -t COMPREPLY < <(compgen -W 'big little' -- "$cur")
        return ;;
    -Z) return ;;
    --an-option-with-a-long-name) return ;;
    esac
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W '-f --format -w --wide -C -o --output -v --verbose -m --mask --strict -b --byte-order -Z --an-option-with-a-long-name -h --help --version' -- "$cur")
    else
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}
complete -F _flow_sample flow-sample
