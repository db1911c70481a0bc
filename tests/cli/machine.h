// A machine for the tests of shell tools: its programs are those that a test puts there.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/engine_runs.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace dpll::test {

// A folder that is the whole PATH: the utilities that scripts need, and what a test adds to them.
class Machine {
 public:
  Machine() {
    std::filesystem::create_directory(temp_.file("bin"));
    for (const char* name :
         {"awk",  "cat",   "cp",     "cut",  "df",    "dirname", "env",      "grep", "head",
          "kill", "mkdir", "mktemp", "mv",   "nproc", "pwd",     "readlink", "rm",   "sed",
          "sh",   "sleep", "sort",   "tail", "touch", "tr",      "uname",    "which"}) {
      link(name);
    }
  }

  bool link(const std::string& name) {
    for (const char* folder : {"/usr/local/bin/", "/usr/bin/", "/bin/"}) {
      if (!std::filesystem::exists(folder + name)) continue;
      std::filesystem::create_symlink(folder + name, temp_.file("bin/" + name));
      return true;
    }
    return false;
  }
  void script(const std::string& name, const std::string& body) {
    const std::string path = temp_.file("bin/" + name);
    std::filesystem::remove(path);
    write_text(path, "#!/bin/sh\n" + body + "\n");
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }
  std::string file(const std::string& name) const { return temp_.file(name); }

  ProcessResult run(std::vector<std::string> command,
                    const std::vector<std::string>& environment = {}) const {
    std::vector<std::string> all = {"/usr/bin/env", "-i", "PATH=" + temp_.file("bin"),
                                    "HOME=" + temp_.path()};
    all.insert(all.end(), environment.begin(), environment.end());
    all.insert(all.end(), command.begin(), command.end());
    return run_process(all);
  }

 private:
  TempDir temp_;
};

}  // namespace dpll::test
