#include "distill/data/manifest.h"

#include <filesystem>
#include <functional>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "distill/data/image_header.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

constexpr char kHeader[] = "reflux-manifest-3 ";  // then the SHA-256 of all lines after it
constexpr int64_t kMaxManifestBytes = int64_t{1} << 30;

// "path\tsize\tmtime" -> facts. One line each in the file, then height, width and digest.
using Manifest = std::map<std::string, ImageFacts>;

std::string ManifestPath(const Dataset& dataset, const std::string& cache_folder) {
  const std::string root = fs::absolute(dataset.root()).lexically_normal().string();
  return (fs::path(cache_folder) / absl::StrCat("manifest-", Sha256::Of(root).Short(), ".tsv"))
      .string();
}

Manifest ReadManifest(const std::string& path) {
  Manifest manifest;
  const absl::StatusOr<std::string> content = ReadFile(path, kMaxManifestBytes);
  if (!content.ok()) return manifest;
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(*content, absl::MaxSplits('\n', 1));
  if (parts.first != absl::StrCat(kHeader, Sha256::Of(parts.second).Hex())) return manifest;
  for (absl::string_view line : absl::StrSplit(parts.second, '\n', absl::SkipEmpty())) {
    std::vector<std::string> fields = absl::StrSplit(line, '\t');  // a path may hold tabs
    if (fields.size() < 4) continue;
    ImageFacts facts;
    const absl::StatusOr<Digest> digest = Digest::FromHex(fields.back());
    if (!digest.ok() || !absl::SimpleAtoi(fields[fields.size() - 2], &facts.width) ||
        !absl::SimpleAtoi(fields[fields.size() - 3], &facts.height)) {
      continue;
    }
    facts.digest = *digest;
    fields.resize(fields.size() - 3);
    manifest[absl::StrJoin(fields, "\t")] = facts;
  }
  return manifest;
}

// Best effort: without it the next run hashes again.
void WriteManifest(const std::string& path, const Manifest& manifest) {
  std::string lines;
  for (const auto& [key, facts] : manifest) {
    absl::StrAppend(&lines, key, "\t", facts.height, "\t", facts.width, "\t", facts.digest.Hex(),
                    "\n");
  }
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  WriteFileAtomically(path, absl::StrCat(kHeader, Sha256::Of(lines).Hex(), "\n", lines))
      .IgnoreError();
}

ImageFacts FactsOf(const std::string& bytes) {
  ImageFacts facts{.digest = Sha256::Of(bytes)};
  // A broken image is reported when it is read.
  if (const absl::StatusOr<cv::Size> size = ReadImageSize(bytes); size.ok()) {
    facts.height = size->height;
    facts.width = size->width;
  }
  return facts;
}

// `path` names the bytes, `relative` the file that they are in.
absl::StatusOr<std::string> KeyOf(const Dataset& dataset, const std::string& path,
                                  const std::string& relative) {
  std::error_code error;
  const fs::path file = fs::path(dataset.root()) / relative;
  const auto size = fs::file_size(file, error);
  if (error)
    return absl::NotFoundError(absl::StrCat("cannot read ", file.string(), ": ", error.message()));
  const auto modified = fs::last_write_time(file, error).time_since_epoch().count();
  if (error)
    return absl::NotFoundError(absl::StrCat("cannot read ", file.string(), ": ", error.message()));
  return absl::StrCat(path, "\t", size, "\t", modified);
}

// The bytes of sample `index` of a data set, their path and the file that they are in (one file may
// hold many images); an empty path: there are none.
struct Files {
  std::function<std::string(size_t index)> path, file;
  std::function<absl::StatusOr<std::string>(size_t index)> read;
};

absl::StatusOr<std::vector<ImageFacts>> FileFacts(const Dataset& dataset,
                                                  const std::string& cache_folder,
                                                  const Files& files, const HashWatch& watch) {
  const std::string manifest_path = ManifestPath(dataset, cache_folder);
  Manifest manifest = ReadManifest(manifest_path);
  bool changed = false;
  const auto stopped = [&] { return watch.stop != nullptr && watch.stop->cancelled(); };
  const auto total = static_cast<int64_t>(dataset.samples().size());
  std::vector<ImageFacts> facts;
  for (size_t i = 0; i < dataset.samples().size() && !stopped(); ++i) {
    const std::string path = files.path(i);
    if (path.empty()) {
      facts.emplace_back();
      continue;
    }
    REFLUX_ASSIGN_OR_RETURN(const std::string key, KeyOf(dataset, path, files.file(i)));
    auto it = manifest.find(key);
    if (it == manifest.end()) {
      REFLUX_ASSIGN_OR_RETURN(const std::string bytes, files.read(i));
      it = manifest.emplace(key, FactsOf(bytes)).first;
      changed = true;
    }
    facts.push_back(it->second);
    if (watch.on_done) watch.on_done(static_cast<int64_t>(facts.size()), total);
  }
  if (changed) WriteManifest(manifest_path, manifest);
  if (facts.size() < dataset.samples().size()) return absl::CancelledError("hashing stopped");
  return facts;
}

std::vector<Digest> DigestsOf(const std::vector<ImageFacts>& facts) {
  std::vector<Digest> digests;
  for (const ImageFacts& file : facts) digests.push_back(file.digest);
  return digests;
}

}  // namespace

absl::StatusOr<std::vector<ImageFacts>> ReadImageFacts(const Dataset& dataset,
                                                       const std::string& cache_folder,
                                                       const HashWatch& watch) {
  return FileFacts(dataset, cache_folder,
                   {.path = [&](size_t i) { return dataset.samples()[i].image.path; },
                    .file = [&](size_t i) { return dataset.FileOf(i); },
                    .read = [&](size_t i) { return dataset.ReadImage(i); }},
                   watch);
}

absl::StatusOr<std::vector<Digest>> SampleDigests(const Dataset& dataset,
                                                  const std::string& cache_folder,
                                                  const HashWatch& watch) {
  REFLUX_ASSIGN_OR_RETURN(const std::vector<ImageFacts> facts,
                          ReadImageFacts(dataset, cache_folder, watch));
  return DigestsOf(facts);
}

absl::StatusOr<std::vector<Digest>> LabelFileDigests(const Dataset& dataset,
                                                     const std::string& cache_folder,
                                                     const HashWatch& watch) {
  const auto path = [&](size_t i) { return dataset.samples()[i].label_path; };
  const auto read = [&](size_t i) -> absl::StatusOr<std::string> {
    REFLUX_ASSIGN_OR_RETURN(LabelFile label, dataset.ReadLabelFile(i));
    return std::move(label.bytes);
  };
  REFLUX_ASSIGN_OR_RETURN(
      const std::vector<ImageFacts> facts,
      FileFacts(dataset, cache_folder, {.path = path, .file = path, .read = read}, watch));
  return DigestsOf(facts);
}

}  // namespace reflux
