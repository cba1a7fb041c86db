// The files of a split (layout.h).
#include <algorithm>
#include <filesystem>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "distill/data/layout.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxListBytes = int64_t{64} << 20;
constexpr const char* kExtensions[] = {".jpg", ".jpeg", ".png"};

bool IsImage(const fs::path& path) {
  const std::string extension = absl::AsciiStrToLower(path.extension().string());
  return std::find(std::begin(kExtensions), std::end(kExtensions), extension) !=
         std::end(kExtensions);
}

// Lists one place of a layout.
class Lister {
 public:
  Lister(const Layout& layout, const ImagePlace& place, const std::string& split, Listing& out)
      : layout_(layout), place_(place), out_(out) {
    const auto renamed = place.splits.find(split);
    split_ = renamed == place.splits.end() ? split : renamed->second;
  }

  absl::Status List() {
    REFLUX_RETURN_IF_ERROR(CheckFolder(layout_.root));
    REFLUX_RETURN_IF_ERROR(CheckFolder(At(Fill(place_.folder))));
    REFLUX_RETURN_IF_ERROR(CheckLabelFolder());
    return place_.lists.empty() ? ListFolder() : ReadList();
  }

 private:
  std::string Fill(const std::string& text) const {
    return absl::StrReplaceAll(text, {{"{}", split_}});
  }
  fs::path At(const std::string& relative) const { return fs::path(layout_.root) / relative; }

  absl::Status CheckFolder(const fs::path& folder) const {
    std::error_code error;
    if (fs::is_directory(folder, error)) return absl::OkStatus();
    return absl::NotFoundError(absl::StrCat("data.root: the folder ", folder.string(),
                                            " does not exist; the ", layout_.format, " layout is ",
                                            layout_.expected));
  }

  absl::Status CheckLabelFolder() const {
    absl::Status first;
    for (const LabelPlace& label : place_.labels) {
      const absl::Status status = CheckFolder(At(Fill(label.folder)));
      if (status.ok()) return status;
      if (first.ok()) first = status;
    }
    return first;
  }

  absl::Status ListFolder() {
    const fs::path folder = At(Fill(place_.folder));
    std::error_code error;
    for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
         it.increment(error)) {
      if (!IsImage(it->path())) continue;
      const fs::path name = it->path().lexically_relative(folder);
      if (absl::EndsWith(name.stem().string(), place_.suffix)) Add(name);
    }
    if (error) return ErrnoStatus(error.value(), "cannot list", folder.string());
    return absl::OkStatus();
  }

  absl::Status ReadList() {
    std::error_code error;
    for (const std::string& list : place_.lists) {
      const fs::path path = At(Fill(list));
      if (!fs::exists(path, error)) continue;
      REFLUX_ASSIGN_OR_RETURN(const std::string text, ReadFile(path.string(), kMaxListBytes));
      for (absl::string_view line : absl::StrSplit(text, '\n')) {
        line = absl::StripAsciiWhitespace(line);
        if (!line.empty()) AddListed(path.string(), std::string(line));
      }
      return absl::OkStatus();
    }
    return absl::NotFoundError(absl::StrCat("the list ", At(Fill(place_.lists.front())).string(),
                                            " does not exist; the ", layout_.format, " layout is ",
                                            layout_.expected));
  }

  // A line is NAME, NAME.jpg, or a path of an image with or without its label's after it.
  void AddListed(const std::string& list, const std::string& line) {
    const std::vector<std::string> columns = absl::StrSplit(line, absl::ByAnyChar(" \t"));
    fs::path name = fs::path(columns[0]).relative_path();
    if (columns.size() > 2 || (columns.size() == 2 && fs::path(columns[1]).stem() != name.stem())) {
      return Complain(list, line, "is not the name of an image, nor an image and its label");
    }
    const fs::path inside = name.lexically_relative(Fill(place_.folder));
    if (!inside.empty() && *inside.begin() != "..") name = inside;
    if (std::find(name.begin(), name.end(), "..") != name.end())
      return Complain(list, line, "leaves the folder of images");
    if (!seen_.insert(name.string()).second) return Complain(list, line, "stands there twice");
    std::error_code error;
    const fs::path folder = Fill(place_.folder);
    if (IsImage(name) && fs::exists(At((folder / name).string()), error)) return Add(name);
    for (const char* extension : kExtensions) {
      const fs::path candidate = name.string() + extension;
      if (fs::exists(At((folder / candidate).string()), error)) return Add(candidate);
    }
    Complain(list, line, absl::StrCat("has no image in ", At(folder.string()).string()));
  }

  void Complain(const std::string& list, const std::string& line, const std::string& what) {
    out_.problems.push_back(absl::StrCat(list, ": `", line, "` ", what));
  }

  // `name` is relative to the folder of images.
  void Add(const fs::path& name) {
    SampleFiles files;
    const fs::path folder = Fill(place_.folder);
    files.image = {.dataset = layout_.format, .path = (folder / name).lexically_normal().string()};
    if (!FindLabel(name, files)) {
      out_.problems.push_back(absl::StrCat("the image ", At(files.image.path).string(),
                                           " has no label: add ", files.label_path,
                                           " or remove the image"));
      return;
    }
    out_.samples.push_back(std::move(files));
  }

  // Leaves the first place that was looked at when there is none.
  bool FindLabel(const fs::path& name, SampleFiles& files) const {
    std::string stem = (name.parent_path() / name.stem()).string();
    stem.resize(stem.size() - place_.suffix.size());
    std::error_code error;
    for (const LabelPlace& label : place_.labels) {
      const std::string path =
          (fs::path(Fill(label.folder)) / (stem + label.suffix)).lexically_normal().string();
      const bool found = fs::exists(At(path), error);
      if (found || files.label_path.empty()) files.label_path = path;
      files.values = label.values;
      if (found) return true;
    }
    return place_.labels.empty();
  }

  const Layout& layout_;
  const ImagePlace& place_;
  std::string split_;
  Listing& out_;
  std::set<std::string> seen_;
};

}  // namespace

absl::StatusOr<Listing> ListSamples(const Layout& layout, const std::string& split) {
  Listing listing;
  for (const ImagePlace& place : layout.places) {
    REFLUX_RETURN_IF_ERROR(Lister(layout, place, split, listing).List());
  }
  // Directory order differs between machines; the order of samples is part of a run's identity.
  std::sort(listing.samples.begin(), listing.samples.end(),
            [](const SampleFiles& a, const SampleFiles& b) { return a.image.path < b.image.path; });
  if (listing.samples.empty() && listing.problems.empty()) {
    return absl::NotFoundError(absl::StrCat("data: no .jpg or .png image of split ", split,
                                            " below ", layout.root, "; the ", layout.format,
                                            " layout is ", layout.expected));
  }
  return listing;
}

}  // namespace reflux
