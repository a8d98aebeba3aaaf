# SPDX-License-Identifier: Apache-2.0
# Completion of kpn-things-gateway for bash. The program itself knows its commands, options and, from the
# configuration, the names of sources, devices and points: one candidate a line, a tab, what it means.
_kpn_things_gateway() {
  local line lines
  COMPREPLY=()
  mapfile -t lines < <("${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  case ${lines[0]-} in
    :files)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]#=}")
      ;;
    :directories)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -d -- "${COMP_WORDS[COMP_CWORD]#=}")
      ;;
    *)
      for line in "${lines[@]}"; do COMPREPLY+=("${line%%$'\t'*}"); done
      ;;
  esac
}
complete -F _kpn_things_gateway kpn-things-gateway
