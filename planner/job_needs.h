// What a job asks of its teachers over its whole length. Value types.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/targets/target.h"

namespace reflux {

struct TeacherNeeds {
  std::string name;  // key of the job's `teachers`
  TeacherInfo info;
  std::vector<TargetSpec> specs;  // every sample wants every spec
};

struct JobNeeds {
  std::vector<TeacherNeeds> teachers;  // empty: no loss reads one
  // Every view that the job takes of an image, once, in the order in which it first takes them.
  // Empty for `views: live`, whose views never come back.
  std::vector<SampleRef> samples;
  std::string dataset;  // its id, as locators name it
  int64_t images = 0;   // of the training split
  int64_t steps = 0;    // of the whole run
  int64_t targets() const {
    size_t specs = 0;
    for (const TeacherNeeds& teacher : teachers) specs += teacher.specs.size();
    return static_cast<int64_t>(specs * samples.size());
  }
};

}  // namespace reflux
