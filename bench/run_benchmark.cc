#include "bench/run_benchmark.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "absl/strings/str_cat.h"

namespace reflux {

nlohmann::json RunBenchmark(const std::string& program, const std::string& arguments) {
  const char* bin = std::getenv("REFLUX_BIN");
  if (bin == nullptr) throw std::runtime_error("set REFLUX_BIN to the folder of the programs");
  const std::string result = absl::StrCat(testing::TempDir(), program, "_", getpid(), ".json");
  const std::string command = absl::StrCat(bin, "/", program, " ", arguments, " --json ", result);
  const int status = std::system(command.c_str());
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw std::runtime_error("this failed: " + command);
  std::ifstream file(result);
  nlohmann::json json = nlohmann::json::parse(file);
  std::remove(result.c_str());
  return json;
}

}  // namespace reflux
