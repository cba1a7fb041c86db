// What targets cost, as measured: seconds of a teacher and bytes of a target, by the size of the
// view. Torch-free, no I/O, not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <utility>

#include "common/targets/target.h"

namespace reflux {

class ViewCosts {
 public:
  void AddBytes(const TeacherIdentity& teacher, const TargetSpec& spec, const View& view,
                double bytes);
  // Of one view, computed and stored by the teacher alone.
  void AddSeconds(const TeacherIdentity& teacher, const View& view, double seconds);
  void Merge(const ViewCosts& other);

  // Means of what was measured of views of that size, else of any size; 0: nothing was.
  double Bytes(const TeacherIdentity& teacher, const TargetSpec& spec, const View& view) const;
  double Seconds(const TeacherIdentity& teacher, const View& view) const;

 private:
  using Size = std::pair<int32_t, int32_t>;  // (0, 0): any
  struct Sum {
    double value = 0, count = 0;
  };
  template <typename Key>
  using Sums = std::map<Key, Sum>;
  Sums<std::tuple<TeacherIdentity, TargetSpec, Size>> bytes_;
  Sums<std::pair<TeacherIdentity, Size>> seconds_;
};

}  // namespace reflux
