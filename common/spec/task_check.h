// Segmentation or classification: what of a job belongs to which. Torch-free, thread-safe.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "reflux/v1/config.pb.h"

namespace reflux {

// Whether the labels are those of whole images (data.format cifar10, cifar100).
bool IsClassification(const v1::DataSpec& data);

// Paths of fields, each with what is wrong: a network or a loss of the other task, an option that
// the task has not.
std::vector<std::pair<std::string, std::string>> TaskProblems(const v1::JobSpec& spec);

}  // namespace reflux
