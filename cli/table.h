// Text tables and numbers for people. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace reflux {

// Columns aligned by their widest cell, two blanks between; the first row is the header.
std::string TableText(const std::vector<std::vector<std::string>>& rows);

std::string BytesText(int64_t bytes);             // "1.4 MiB"
std::string AgeText(int64_t seconds);             // "12 s", "5 min", "3 h", "2 d"
std::string FixedText(double value, int digits);  // "41.27"

}  // namespace reflux
