// Zip files whose checksums are right, as PyTorch writes them: of stored entries.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace reflux {

// Of names and contents; below 4 GiB and 65536 entries.
std::string StoredZip(const std::vector<std::pair<std::string, std::string>>& entries);

}  // namespace reflux
