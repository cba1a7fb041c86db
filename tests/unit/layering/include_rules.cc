#include "tests/unit/layering/include_rules.h"

#include <regex>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace reflux {
namespace {

const std::set<std::string>& Torch() {
  static const auto& names = *new std::set<std::string>{"torch", "ATen", "c10"};
  return names;
}

std::set<std::string> TorchAnd(std::set<std::string> others) {
  others.insert(Torch().begin(), Torch().end());
  return others;
}

bool IsWithin(absl::string_view path, absl::string_view folder) {
  return path == folder || absl::StartsWith(path, absl::StrCat(folder, "/"));
}

struct Include {
  std::string path;
  bool quoted;
};

std::vector<Include> IncludesOf(const std::string& text) {
  static const auto& pattern = *new std::regex("^\\s*#\\s*include\\s*([<\"])([^>\"]+)[>\"]");
  std::vector<Include> includes;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StrContains(line, "include")) continue;
    std::smatch match;
    const std::string candidate(line);
    if (std::regex_search(candidate, match, pattern))
      includes.push_back({match[2], match[1] == "\""});
  }
  return includes;
}

std::string FirstFolder(const std::string& path) { return path.substr(0, path.find('/')); }

bool MayInclude(const Layer& from, const Layer& to) {
  if (from.folder == to.folder) return true;
  for (const std::string& folder : from.may_include) {
    if (IsWithin(to.folder, folder)) return true;
  }
  return false;
}

// Angle includes (and generated protocol headers) that a file reaches, each with the file of the
// tree that names it.
class Reach {
 public:
  explicit Reach(const SourceTree& tree) : tree_(tree) {}
  std::map<std::string, std::string> From(const std::string& path) {
    std::map<std::string, std::string> found;
    std::set<std::string> seen;
    Visit(path, seen, found);
    return found;
  }

 private:
  void Visit(const std::string& path, std::set<std::string>& seen,
             std::map<std::string, std::string>& found) {
    const auto file = tree_.find(path);
    if (file == tree_.end() || !seen.insert(path).second) return;
    const auto [includes, is_new] = includes_.try_emplace(path);
    if (is_new) includes->second = IncludesOf(file->second);
    for (const Include& include : includes->second) {
      if (!include.quoted || FirstFolder(include.path) == "reflux") {
        found.emplace(FirstFolder(include.path), path);
      } else {
        Visit(include.path, seen, found);
      }
    }
  }

  const SourceTree& tree_;
  std::map<std::string, std::vector<Include>> includes_;
};

bool IsSource(absl::string_view path) {
  return absl::EndsWith(path, ".h") || absl::EndsWith(path, ".cc") ||
         absl::EndsWith(path, ".cc.in");
}

void CheckEdges(const std::string& path, const std::string& text, const Layer& layer,
                std::vector<std::string>& problems) {
  for (const Include& include : IncludesOf(text)) {
    const Layer* to = include.quoted ? FindLayer(include.path) : nullptr;
    if (to == nullptr || MayInclude(layer, *to)) continue;
    problems.push_back(absl::StrCat(path, ": includes ", include.path, ", but ", layer.folder,
                                    " may not include ", to->folder));
  }
}

}  // namespace

const std::vector<Layer>& Layers() {
  static const auto& layers = *new std::vector<Layer>{
      {"proto", {}, {}},
      {"common/base", {}, TorchAnd({"grpcpp", "google", "rocksdb", "opencv2", "reflux"})},
      {"common/metrics", {"common/base"}, TorchAnd({"grpcpp", "rocksdb", "opencv2"})},
      {"common/rpc", {"common/base"}, TorchAnd({"rocksdb", "opencv2"})},
      {"common/targets",
       {"common/base", "common/metrics", "common/rpc", "proto"},
       TorchAnd({"rocksdb", "opencv2"})},
      {"common/spec",
       {"common/base", "common/targets", "proto"},
       TorchAnd({"grpcpp", "rocksdb", "opencv2"})},
      {"common/membership",
       {"common/base", "common/metrics", "common/rpc", "proto"},
       TorchAnd({"rocksdb", "opencv2"})},
      {"distill/data",
       {"common/base", "common/targets"},
       TorchAnd({"grpcpp", "google", "rocksdb", "reflux"})},
      {"distill",
       {"common/base", "common/metrics", "common/targets", "distill"},
       {"grpcpp", "google", "rocksdb", "reflux"}},
      {"job_plan", {"common", "distill", "proto"}, {"grpcpp", "rocksdb"}},
      {"cache", {"common", "proto"}, TorchAnd({"opencv2"})},
      {"teacher_server", {"common", "distill", "job_plan", "proto"}, {"rocksdb"}},
      {"student_worker", {"common", "distill", "job_plan", "cache", "proto"}, {}},
      {"orchestrator", {"common", "proto"}, TorchAnd({"opencv2"})},
      {"cli/model", {"common", "distill", "job_plan", "proto"}, {"rocksdb"}},
      {"cli", {"common", "distill/data", "job_plan", "proto"}, TorchAnd({"rocksdb"})},
      {"planner",
       {"common", "distill", "job_plan", "cache", "student_worker", "cli", "proto"},
       {}},
      {"bench",
       {"common", "distill", "job_plan", "cache", "teacher_server", "student_worker", "planner",
        "orchestrator", "cli", "proto"},
       {}},
      {"tests",
       {"common", "distill", "job_plan", "cache", "teacher_server", "student_worker", "planner",
        "orchestrator", "cli", "bench", "proto"},
       {}},
  };
  return layers;
}

const Layer* FindLayer(absl::string_view path) {
  const Layer* best = nullptr;
  for (const Layer& layer : Layers()) {
    if (IsWithin(path, layer.folder) &&
        (best == nullptr || layer.folder.size() > best->folder.size())) {
      best = &layer;
    }
  }
  return best;
}

std::vector<std::string> FindForbiddenIncludes(const SourceTree& tree) {
  std::vector<std::string> problems;
  Reach reach(tree);
  for (const auto& [path, text] : tree) {
    if (!IsSource(path)) continue;
    const Layer* layer = FindLayer(path);
    if (layer == nullptr) {
      problems.push_back(path + ": its folder has no layer; give it one in include_rules.cc");
      continue;
    }
    CheckEdges(path, text, *layer, problems);
    const bool is_registry = absl::StartsWith(path, "common/metrics/prometheus");
    for (const auto& [library, by] : reach.From(path)) {
      const bool forbidden =
          layer->forbidden.count(library) > 0 || (library == "prometheus" && !is_registry);
      if (!forbidden) continue;
      problems.push_back(absl::StrCat(path, ": reaches ", library, "/ (named in ", by, "), which ",
                                      layer->folder, " may not know"));
    }
  }
  return problems;
}

std::vector<std::string> FindForbiddenTorchTargets(const SourceTree& tree) {
  static const auto& pattern = *new std::regex("\\bTORCH\\b|reflux::torch|torch_cpu");
  std::vector<std::string> problems;
  for (const auto& [path, text] : tree) {
    if (!absl::EndsWith(path, "CMakeLists.txt")) continue;
    const Layer* layer = FindLayer(path);
    if (layer == nullptr || layer->forbidden.count("torch") == 0) continue;
    if (std::regex_search(text, pattern))
      problems.push_back(
          absl::StrCat(path, ": asks for LibTorch, which ", layer->folder, " may not know"));
  }
  return problems;
}

}  // namespace reflux
