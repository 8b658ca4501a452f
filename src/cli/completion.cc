#include "cli/completion.h"

#include <fmt/core.h>

#include <functional>

namespace taffrail::cli {
namespace {

/// Calls `visit` with each command and the words that lead to it, the root with "".
void walk(const CommandWords& at, const std::string& path,
          const std::function<void(const std::string&, const CommandWords&)>& visit) {
  visit(path, at);
  for (const CommandWords& sub : at.commands)
    walk(sub, path.empty() ? sub.name : path + " " + sub.name, visit);
}

// In single quotes, where shells take nothing but the quote itself specially.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += "'\\''";
    else out.push_back(c);
  }
  return out + "'";
}

// zsh and fish split descriptions off at ':' and line ends.
std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text) out.push_back(c == ':' || c == '\n' ? ' ' : c);
  return out;
}

// Flags of commands above count too: they may stand anywhere.
std::string words_for(const CommandWords& root, const CommandWords& at) {
  std::string words;
  for (const CommandWords& sub : at.commands) words += " " + sub.name;
  for (const auto& flag : at.flags) words += " " + flag.word;
  if (&at != &root)
    for (const auto& flag : root.flags)
      if (flag.word != "-h" && flag.word != "--help") words += " " + flag.word;
  return words.empty() ? words : words.substr(1);
}

std::string bash(const CommandWords& root) {
  std::string cases;
  std::string known;
  walk(root, "", [&](const std::string& path, const CommandWords& at) {
    cases += fmt::format("    {}) words={} ;;\n", quoted(path), quoted(words_for(root, at)));
    if (!path.empty()) known += fmt::format("      {}) path=\"$next\" ;;\n", quoted(path));
  });
  return fmt::format(
      "# bash completion for taffrail: source <(taffrail completion bash)\n"
      "_taffrail() {{\n"
      "  local cur=\"${{COMP_WORDS[COMP_CWORD]}}\" path='' next words='' i\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "    next=\"${{path:+$path }}${{COMP_WORDS[i]}}\"\n"
      "    case \"$next\" in\n"
      "{}"
      "    esac\n"
      "  done\n"
      "  case \"$path\" in\n"
      "{}"
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
      "  [[ -z $COMPREPLY && $cur != -* ]] && COMPREPLY=($(compgen -f -- \"$cur\"))\n"
      "}}\n"
      "complete -F _taffrail taffrail\n",
      known, cases);
}

std::string zsh(const CommandWords& root) {
  std::string cases;
  std::string known;
  walk(root, "", [&](const std::string& path, const CommandWords& at) {
    std::string items;
    for (const CommandWords& sub : at.commands) items += " " + quoted(sub.name + ":" + one_line(sub.help));
    for (const auto& flag : at.flags) items += " " + quoted(flag.word + ":" + one_line(flag.help));
    if (&at != &root)
      for (const auto& flag : root.flags)
        if (flag.word != "-h" && flag.word != "--help")
          items += " " + quoted(flag.word + ":" + one_line(flag.help));
    cases += fmt::format("    {}) items=({}) ;;\n", quoted(path), items.empty() ? "" : items.substr(1));
    if (!path.empty()) known += fmt::format("      {}) at=\"$next\" ;;\n", quoted(path));
  });
  return fmt::format(
      "#compdef taffrail\n"
      "# zsh completion for taffrail: taffrail completion zsh > \"${{fpath[1]}}/_taffrail\"\n"
      "_taffrail() {{\n"
      "  local at='' next i\n"
      "  local -a items\n"
      "  for ((i = 2; i < CURRENT; ++i)); do\n"
      "    next=\"${{at:+$at }}${{words[i]}}\"\n"
      "    case \"$next\" in\n"
      "{}"
      "    esac\n"
      "  done\n"
      "  case \"$at\" in\n"
      "{}"
      "  esac\n"
      "  _describe 'taffrail' items || _files\n"
      "}}\n"
      "compdef _taffrail taffrail\n",
      known, cases);
}

std::string fish(const CommandWords& root) {
  std::string out =
      "# fish completion for taffrail: taffrail completion fish | source\n"
      "function __taffrail_at\n"
      "  set -l path ''\n"
      "  for word in (commandline -opc)[2..-1]\n"
      "    set -l next (string trim \"$path $word\")\n"
      "    switch $next\n";
  std::string cases;
  walk(root, "", [&](const std::string& path, const CommandWords&) {
    if (!path.empty()) out += fmt::format("      case {}\n        set path $next\n", quoted(path));
  });
  out +=
      "    end\n"
      "  end\n"
      "  test \"$path\" = \"$argv[1]\"\n"
      "end\n";
  walk(root, "", [&](const std::string& path, const CommandWords& at) {
    const std::string when = quoted(fmt::format("__taffrail_at \"{}\"", path));
    for (const CommandWords& sub : at.commands)
      out += fmt::format("complete -c taffrail -f -n {} -a {} -d {}\n", when, sub.name,
                         quoted(one_line(sub.help)));
    for (const auto& flag : at.flags) {
      const bool is_long = flag.word.starts_with("--");
      // Flags of the root may stand anywhere.
      const std::string condition = &at == &root ? "" : fmt::format(" -n {}", when);
      out += fmt::format("complete -c taffrail{} {} {} -d {}\n", condition, is_long ? "-l" : "-s",
                         flag.word.substr(is_long ? 2 : 1), quoted(one_line(flag.help)));
    }
  });
  return out;
}

}  // namespace

std::string completion_script(std::string_view shell, const CommandWords& root) {
  if (shell == "bash") return bash(root);
  if (shell == "zsh") return zsh(root);
  if (shell == "fish") return fish(root);
  return "";
}

}  // namespace taffrail::cli
