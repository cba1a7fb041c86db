#include "common/spec/run_folders.h"

#include <filesystem>

namespace reflux {

namespace fs = std::filesystem;

std::string RunFolder(const std::string& name, const std::string& dir) {
  return fs::absolute(dir.empty() ? fs::path("runs") / name : fs::path(dir)).string();
}

std::string RunFolder(const v1::JobSpec& spec, const std::string& dir) {
  return RunFolder(spec.name(), dir);
}

std::string RunCacheFolder(const v1::JobSpec& spec, const std::string& dir) {
  const std::string& name = spec.targets().cache();
  return name.empty() ? RunFolder(spec, dir) + "/cache"
                      : fs::absolute(fs::path("runs") / "caches" / name).string();
}

}  // namespace reflux
