// Small runs of the program on the committed piece of Fashion-MNIST: 32 training and 16 test images.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "dpll/files.h"
#include "support/doctest.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace dpll::test {

inline const std::string kTools = std::string(DPLL_SOURCE_DIR) + "/tools/";
inline const std::string kFashionFolder = std::string(DPLL_TEST_FIXTURES) + "/fashion-mnist/plain";

inline std::string read_text(const std::string& path) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// SHA-256 of every file below `folder`, by relative path.
inline std::map<std::string, std::string> hashes_of(const std::string& folder) {
  std::map<std::string, std::string> hashes;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const std::vector<std::uint8_t> bytes = read_file(entry.path().string());
    hashes[std::filesystem::relative(entry.path(), folder).string()] = sha256_hex(bytes.data(), bytes.size());
  }
  return hashes;
}

// A folder with config.ini for LeNet, and the runs that the program makes from it.
class EngineRuns {
 public:
  // `settings`: further "section.key=value" for every run.
  explicit EngineRuns(std::vector<std::string> settings = {}) : settings_(std::move(settings)) {
    write_text(config(), fmt::format("[run]\nthreads = 1\nepochs = 2\nout_dir = {}\ndevice = cpu\n"
                                     "[data]\ndataset = fashion_mnist\npath = {}\nverify = false\n"
                                     "[model]\narchitecture = lenet\n"
                                     "[optimiser]\nbatch = 8\nlr = 0.05\n[evaluation]\nbatch = 8\n",
                                     temp_.file("runs"), kFashionFolder));
  }

  std::string config() const { return temp_.file("tiny.ini"); }
  std::string file(const std::string& name) const { return temp_.file(name); }
  std::string run_folder(const std::string& name) const { return temp_.file("runs/" + name); }
  std::string run_file(const std::string& run, const std::string& name) const {
    return run_folder(run) + "/" + name;
  }

  // The command that trains run `name`.
  std::vector<std::string> command(const std::string& name,
                                   const std::vector<std::string>& settings = {}) const {
    std::vector<std::string> arguments = {config(), "--set", "run.name=" + name};
    for (const auto* list : {&settings_, &settings}) {
      for (const std::string& setting : *list) arguments.insert(arguments.end(), {"--set", setting});
    }
    return engine(arguments);
  }
  ProcessResult train(const std::string& name, const std::vector<std::string>& settings = {}) const {
    return run_process(command(name, settings));
  }
  std::vector<std::string> resume_command(const std::string& name) const {
    return engine({run_file(name, "config.ini"), "--resume"});
  }

  ProcessResult resume(const std::string& name, const std::vector<std::string>& settings = {}) const {
    std::vector<std::string> command = resume_command(name);
    for (const std::string& setting : settings) command.insert(command.end(), {"--set", setting});
    return run_process(command);
  }

 private:
  TempDir temp_;
  std::vector<std::string> settings_;
};

// Fails the test with what the program said when it did not end well.
inline void require_done(const ProcessResult& result) {
  REQUIRE_MESSAGE(result.exit_code == 0, "exit code ", result.exit_code, "\n", result.out, result.err);
}

}  // namespace dpll::test
