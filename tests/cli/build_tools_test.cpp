// What tools/install_deps, tools/build and the configuration say on machines where something is missing, too
// old, full or left over: programs of the same names stand in for the machine's.
#include <filesystem>

#include "cli/engine_runs.h"
#include "cli/machine.h"

using namespace dpll::test;

namespace {

const std::string kSource = DPLL_SOURCE_DIR;

// A tree with tools/build, its preset `release` and a program of one line.
class SmallTree {
 public:
  SmallTree() {
    make();
    for (const char* name :
         {"cmake", "ninja", "g++", "as", "ld", "ar", "ranlib", "nm", "objdump", "objcopy", "strip"}) {
      complete_ = machine_.link(name) && complete_;
    }
  }
  bool complete() const { return complete_; }
  Machine& machine() { return machine_; }
  std::string file(const std::string& name) const { return machine_.file(name_ + "/" + name); }
  void rename(const std::string& to) {
    std::filesystem::rename(machine_.file(name_), machine_.file(to));
    name_ = to;
  }
  void reach_by_link(const std::string& link) {
    std::filesystem::create_directory_symlink(machine_.file(name_), machine_.file(link));
    name_ = link;
  }
  ProcessResult build(const std::vector<std::string>& arguments = {"release"},
                      const std::string& cxx = "g++") const {
    std::vector<std::string> command = {file("tools/build")};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return machine_.run(command,
                        cxx.empty() ? std::vector<std::string>{} : std::vector<std::string>{"CXX=" + cxx});
  }

 private:
  void make() {
    const std::string folder = machine_.file(name_);
    std::filesystem::create_directories(folder + "/tools");
    std::filesystem::copy_file(kSource + "/tools/build", folder + "/tools/build");
    write_text(folder + "/CMakePresets.json",
               R"({"version": 6, "configurePresets": [{"name": "release", "generator": "Ninja",
                   "binaryDir": "${sourceDir}/build/release"}]})");
    write_text(
        folder + "/CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.25)\nproject(small LANGUAGES CXX)\ninclude(\"" + kSource +
            "/cmake/Compiler.cmake\")\nadd_executable(small small.cpp)\n"
            "if(EXISTS ${PROJECT_SOURCE_DIR}/left)\n"
            "  set_source_files_properties(small.cpp PROPERTIES OBJECT_DEPENDS ${PROJECT_SOURCE_DIR}/left)\n"
            "endif()\n");
    write_text(folder + "/small.cpp", "int main() { return 0; }\n");
  }

  Machine machine_;
  std::string name_ = "tree";
  bool complete_ = true;
};

const char* const kNoTools = "CMake, Ninja or g++ is not in /usr/bin";

}  // namespace

TEST_CASE("tools/install_deps: without root and sudo, one line that root can run names every package") {
  Machine machine;
  machine.script("dpkg-query", "exit 1");
  machine.script("id", "echo 1000");
  const ProcessResult result = machine.run({kSource + "/tools/install_deps", "test"});
  CHECK(result.exit_code == 1);
  REQUIRE(lines_of(result.err).size() == 1);
  CHECK(has(result.err, "apt-get install --no-install-recommends g++ cmake ninja-build libdnnl-dev"));
  CHECK(has(result.err, "libbenchmark-dev"));
  CHECK(has(result.err, "libopenmpi-dev openmpi-bin libmpich-dev mpich"));
}

TEST_CASE("tools/install_deps: no network is said in one line, with what is still missing") {
  Machine machine;
  machine.script("dpkg-query", "[ \"$4\" = cmake ] || echo installed");
  machine.script("id", "echo 0");
  machine.script("apt-get",
                 "echo \"W: Failed to fetch x  Temporary failure resolving 'x'\"; [ $1 = update ] || "
                 "{ echo 'E: Unable to locate package cmake'; exit 100; }");
  const ProcessResult result = machine.run({kSource + "/tools/install_deps"});
  CHECK(result.exit_code == 1);
  CHECK(result.out == "installing: cmake\n");
  REQUIRE(lines_of(result.err).size() == 1);
  CHECK(has(result.err, "cannot be reached over the network"));
  CHECK(has(result.err, "still missing: apt-get install --no-install-recommends cmake"));
}

TEST_CASE("tools/install_deps: other systems get their own packages' names and nothing installed") {
  Machine machine;
  for (const auto& [manager, words] :
       std::map<std::string, std::string>{{"dnf", "dnf install gcc-c++"},
                                          {"pacman", "pacman -S gcc"},
                                          {"conda", "conda install -c conda-forge"}}) {
    machine.script(manager, "touch \"$0.was_run\"");
    const ProcessResult result = machine.run({kSource + "/tools/install_deps"});
    CHECK(result.exit_code == 0);
    CHECK(has(result.err, words));
    CHECK_FALSE(std::filesystem::exists(machine.file("bin/" + manager + ".was_run")));
    std::filesystem::remove(machine.file("bin/" + manager));
  }
}

TEST_CASE(
    "tools/build: a folder that was moved, another compiler, presets and rules of another state are "
    "configured again") {
  SmallTree tree;
  if (!tree.complete()) DPLL_SKIP(kNoTools);
  require_done(tree.build());
  CHECK(tree.build().out == "");

  const auto now = std::filesystem::file_time_type::clock::now();
  std::filesystem::last_write_time(tree.file("CMakePresets.json"), now);
  CHECK(tree.build().out == "configuring build/release\n");
  CHECK(tree.build().out == "");

  tree.rename("moved");
  const ProcessResult moved = tree.build();
  require_done(moved);
  CHECK(has(moved.out, "anew: it was made elsewhere"));
  tree.reach_by_link("link");
  CHECK(tree.build().out == "");

  tree.machine().script("other++", "exec g++ \"$@\"");
  const ProcessResult other = tree.build({"release"}, "other++");
  require_done(other);
  CHECK(has(other.out, "anew: CXX names another compiler"));

  write_text(tree.file("left"), "");
  std::filesystem::last_write_time(tree.file("CMakeLists.txt"),
                                   std::filesystem::file_time_type::clock::now());
  require_done(tree.build({"release"}, ""));
  std::filesystem::remove(tree.file("left"));
  const ProcessResult stale = tree.build({"release"}, "");
  require_done(stale);
  CHECK(has(stale.out, "anew: its rules are of another state"));
}

TEST_CASE("tools/build: elsewhere, where it cannot write, and what the compiler refuses") {
  SmallTree tree;
  if (!tree.complete()) DPLL_SKIP(kNoTools);
  const std::string elsewhere = tree.machine().file("a folder with ö");
  require_done(tree.build({"--build", elsewhere, "release", "small"}));
  CHECK(std::filesystem::exists(elsewhere + "/release/small"));
  CHECK_FALSE(std::filesystem::exists(tree.file("build")));

  const ProcessResult nowhere = tree.build({"--build", "/proc/nowhere", "release"});
  CHECK(nowhere.exit_code == 1);
  CHECK(lines_of(nowhere.err).size() == 1);
  CHECK(has(nowhere.err, "--build FOLDER builds elsewhere"));

  write_text(tree.file("small.cpp"), "int main() { return undeclared; }\n");
  const ProcessResult refused = tree.build();
  CHECK(refused.exit_code == 1);
  CHECK(has(refused.err, "undeclared"));
}

TEST_CASE("tools/build: a full disk and a missing program are named") {
  SmallTree tree;
  if (!tree.complete()) DPLL_SKIP(kNoTools);
  require_done(tree.build());
  tree.machine().script(
      "cmake", "echo 'small.cpp:1:1: fatal error: error writing to x.s: No space left on device'; exit 1");
  const ProcessResult full = tree.build();
  CHECK(full.exit_code == 1);
  CHECK(has(full.err, "tools/build: the disk is full: "));

  std::filesystem::remove(tree.machine().file("bin/ninja"));
  const ProcessResult missing = tree.build();
  CHECK(missing.exit_code == 1);
  CHECK(missing.err == "tools/build: ninja is not installed; tools/install_deps knows the packages\n");
}

TEST_CASE("configuration: a compiler that is too old is named with its version and what is needed") {
  SmallTree tree;
  if (!tree.complete()) DPLL_SKIP(kNoTools);
  tree.machine().script("old++", "exec g++ -U__GNUC__ -D__GNUC__=11 \"$@\"");
  const ProcessResult old = tree.build({"release"}, "old++");
  CHECK(old.exit_code == 1);
  CHECK(has(old.err, "old++ is GNU 11."));
  CHECK(has(old.err, "GCC 12 or Clang 16 or newer is"));
}

TEST_CASE("configuration: libraries that are missing or too old are named together") {
  SmallTree tree;
  if (!tree.complete()) DPLL_SKIP(kNoTools);
  const std::string fmt = tree.file("fmt");
  std::filesystem::create_directory(fmt);
  write_text(fmt + "/fmt-config.cmake", "add_library(fmt::fmt INTERFACE IMPORTED)\n");
  write_text(fmt + "/fmt-config-version.cmake", "set(PACKAGE_VERSION 8.1.1)\n");
  const ProcessResult result = tree.machine().run(
      {"cmake", "-G", "Ninja", "-S", kSource, "-B", tree.file("configured"), "-Dfmt_DIR=" + fmt,
       "-DDPLL_CUDA=OFF", "-DCMAKE_DISABLE_FIND_PACKAGE_LibArchive=ON", "-DCMAKE_CXX_COMPILER=g++"});
  CHECK(result.exit_code != 0);
  CHECK(has(result.err, "fmt is 8.1.1, but 9 or newer is needed (Debian and Ubuntu: libfmt-dev)"));
  CHECK(has(result.err, "libarchive 3.6 or newer was not found (Debian and Ubuntu: libarchive-dev)"));
  CHECK_FALSE(has(result.err, "oneDNN"));
}
