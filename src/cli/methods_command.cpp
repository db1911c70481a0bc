#include <fmt/format.h>

#include <cstdio>

#include "cli/commands.h"
#include "config/keys.h"

namespace dpll {

int methods_command() {
  Methods methods;
  std::string text;
  for_each_method(methods, [&](const auto& method) {
    text += fmt::format("{}{}\n  {}\n  {}\n  views: the weak one and {} strong\n", text.empty() ? "" : "\n",
                        method.about.name, method.about.paper, method.about.formula, method.strong_views);
    for (const Key& key : method_keys(methods, method.about.name)) {
      text += fmt::format("  [{}] {} = {}   {}: {}\n", key.section(), key.local_name(), key.print(),
                          key.accepts, key.doc);
    }
  });
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace dpll
