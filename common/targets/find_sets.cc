#include "common/targets/find_sets.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace reflux {
namespace {

constexpr size_t kMaxListed = 20;
constexpr size_t kMinIdDigits = 4;

using Halves = std::pair<absl::string_view, absl::string_view>;

// Whether the letters of `part` stand in `whole` in this order.
bool HasLetters(absl::string_view whole, absl::string_view part) {
  for (const char letter : whole) {
    if (!part.empty() && part.front() == letter) part.remove_prefix(1);
  }
  return part.empty();
}

// Whether `asked` is "MODEL@DIGEST" of `shown`, shortened.
bool MeansTeacher(absl::string_view asked, absl::string_view shown) {
  const Halves wanted = absl::StrSplit(asked, absl::MaxSplits('@', 1));
  const Halves has = absl::StrSplit(shown, absl::MaxSplits('@', 1));
  return HasLetters(has.first, wanted.first) && absl::StartsWith(has.second, wanted.second);
}

bool Means(absl::string_view name, const TargetSet& set) {
  if (name.empty()) return false;
  if (absl::StartsWith(FullName(set), name)) return true;
  if (name.size() >= kMinIdDigits && absl::StartsWith(MakeTargetSetId(set).digest.Hex(), name)) {
    return true;
  }
  const std::string full_name = FullName(set);
  const std::vector<absl::string_view> asked = absl::StrSplit(name, '/');
  const std::vector<absl::string_view> shown = absl::StrSplit(full_name, '/');
  return asked.size() >= 2 && asked.size() <= shown.size() && asked[0] == shown[0] &&
         MeansTeacher(asked[1], shown[1]) &&
         std::equal(asked.begin() + 2, asked.end(), shown.begin() + 2);
}

}  // namespace

std::string FullName(const TargetSet& set) {
  return absl::StrCat(set.DisplayName(), "/", TargetName(set.spec.tap, set.spec.reduction), "/",
                      Name(set.spec.codec));
}

std::string ListedSets(const std::vector<TargetSet>& sets) {
  std::string text;
  for (size_t i = 0; i < sets.size() && i < kMaxListed; ++i) {
    absl::StrAppend(&text, "\n  ", FullName(sets[i]), "  (",
                    MakeTargetSetId(sets[i]).digest.Short(), ")");
  }
  if (sets.size() > kMaxListed) absl::StrAppend(&text, "\n  and ", sets.size() - kMaxListed);
  return text;
}

absl::StatusOr<std::vector<size_t>> FindSets(const std::vector<TargetSet>& sets,
                                             absl::string_view name) {
  std::vector<size_t> places;
  for (size_t i = 0; i < sets.size(); ++i) {
    if (Means(name, sets[i])) places.push_back(i);
  }
  if (!places.empty()) return places;
  return absl::NotFoundError(
      absl::StrCat("no target set begins with '", name, "'",
                   sets.empty() ? ": the cache is empty" : "; there are" + ListedSets(sets)));
}

}  // namespace reflux
