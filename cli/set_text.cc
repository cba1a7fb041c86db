#include "cli/set_text.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cli/table.h"
#include "common/targets/codec.h"
#include "common/targets/target.h"

namespace reflux {

std::string CodecWord(int codec) { return IsCodec(codec) ? Name(static_cast<Codec>(codec)) : "-"; }

std::string FullSetName(const v1::TargetSet& set) {
  const int reduction = set.spec().reduction();
  return absl::StrCat(
      set.id(), "/",
      TargetName(set.spec().tap(),
                 IsReduction(reduction) ? static_cast<Reduction>(reduction) : Reduction::kNone),
      "/", CodecWord(set.spec().codec()));
}

std::string LeaseText(const v1::TargetSet& set, int64_t now_unix_seconds) {
  if (set.pinned_for_seconds() > 0) {
    const int64_t left = std::max<int64_t>(0, set.pinned_until_unix_seconds() - now_unix_seconds);
    return absl::StrCat("pinned, ", AgeText(left), " left");
  }
  return set.leased() ? "in use" : "-";
}

}  // namespace reflux
