// What the benchmarks' tests share: runs one as a user does.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace reflux {

// The result that REFLUX_BIN/`program` `arguments` --json FILE writes. Throws std::runtime_error
// when REFLUX_BIN is not set or the program fails.
nlohmann::json RunBenchmark(const std::string& program, const std::string& arguments);

}  // namespace reflux
