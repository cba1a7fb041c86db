#include "planner/view_costs.h"

namespace reflux {
namespace {

constexpr std::pair<int32_t, int32_t> kAnySize = {0, 0};

std::pair<int32_t, int32_t> SizeOf(const View& view) { return {view.crop_height, view.crop_width}; }

template <typename Sum>
void AddTo(Sum& sum, double value) {
  sum.value += value;
  ++sum.count;
}

template <typename Sums>
void MergeInto(Sums& into, const Sums& from) {
  for (const auto& [key, sum] : from) {
    into[key].value += sum.value;
    into[key].count += sum.count;
  }
}

template <typename Sums, typename Key>
double MeanOf(const Sums& sums, const Key& exact, const Key& any) {
  auto found = sums.find(exact);
  if (found == sums.end()) found = sums.find(any);
  return found == sums.end() ? 0 : found->second.value / found->second.count;
}

}  // namespace

void ViewCosts::AddBytes(const TeacherIdentity& teacher, const TargetSpec& spec, const View& view,
                         double bytes) {
  for (const Size& size : {SizeOf(view), kAnySize}) AddTo(bytes_[{teacher, spec, size}], bytes);
}

void ViewCosts::AddSeconds(const TeacherIdentity& teacher, const View& view, double seconds) {
  for (const Size& size : {SizeOf(view), kAnySize}) AddTo(seconds_[{teacher, size}], seconds);
}

void ViewCosts::Merge(const ViewCosts& other) {
  MergeInto(bytes_, other.bytes_);
  MergeInto(seconds_, other.seconds_);
}

double ViewCosts::Bytes(const TeacherIdentity& teacher, const TargetSpec& spec,
                        const View& view) const {
  using Key = std::tuple<TeacherIdentity, TargetSpec, Size>;
  return MeanOf(bytes_, Key(teacher, spec, SizeOf(view)), Key(teacher, spec, kAnySize));
}

double ViewCosts::Seconds(const TeacherIdentity& teacher, const View& view) const {
  using Key = std::pair<TeacherIdentity, Size>;
  return MeanOf(seconds_, Key(teacher, SizeOf(view)), Key(teacher, kAnySize));
}

}  // namespace reflux
