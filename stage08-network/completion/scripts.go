package completion

// Script returns the script that a shell reads to complete the words of box: shell is bash,
// zsh or fish. For any other it is empty.
func Script(shell string) string {
	switch shell {
	case "bash":
		return bash
	case "zsh":
		return zsh
	case "fish":
		return fish
	}
	return ""
}

const bash = `_box() {
  local IFS=$'\n' line=${COMP_LINE:0:COMP_POINT}
  read -ra words -d '' <<<"${line// /$IFS}"
  [[ $line == *' ' ]] && words+=("")
  local current=${words[-1]} prefix=
  [[ $current == *:* && $COMP_WORDBREAKS == *:* ]] && prefix=${current%:*}:
  COMPREPLY=($("${words[0]}" completion words -- "${words[@]:1}" 2>/dev/null))
  COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
}
complete -o default -F _box box
`

const zsh = `#compdef box
_box() {
  local -a found
  found=("${(@f)$(${words[1]} completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n $found[1] ]]; then compadd -- $found; else _files; fi
}
compdef _box box
`

const fish = `function __box_words
  set -l words (commandline -opc) (commandline -ct)
  set -l found ($words[1] completion words -- $words[2..-1] 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\n' $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c box -f -a '(__box_words)'
`
