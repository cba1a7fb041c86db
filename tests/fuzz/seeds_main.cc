// Writes the seeds of every target as files that a fuzzer begins with: DIR/<target>/seed-<number>.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "tests/fuzz/fuzz_targets.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: reflux-fuzz-seeds DIR" << std::endl;
    return 2;
  }
  for (const reflux::FuzzTarget& target : reflux::FuzzTargets()) {
    const std::filesystem::path folder = std::filesystem::path(argv[1]) / target.name;
    std::filesystem::create_directories(folder);
    int number = 0;
    for (const std::string& seed : target.seeds()) {
      std::ofstream file(folder / absl::StrCat("seed-", number++), std::ios::binary);
      if (!(file << seed).flush()) return 1;
    }
  }
  return 0;
}
