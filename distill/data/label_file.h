// Labels as they travel: encoded, with the meaning of their values. Torch-free, thread-safe.
#pragma once

#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/targets/label.h"
#include "distill/data/dataset.h"
#include "distill/data/manifest.h"

namespace reflux {

// 8-bit class indices of a label of an image of `size`, all ignored when the sample has none.
// Errors: those of DecodeLabel; InvalidArgument for a value that the map does not know, or another
// size.
absl::StatusOr<cv::Mat> DecodeLabelFile(const LabelFile& label, cv::Size size);

// Reads labels of these splits by the path of their image. The splits are opened at the first call;
// one that cannot be opened is left out. NotFound for an image in none of them.
ReadLabelFn LabelReader(std::vector<DatasetOptions> splits);

// LabelDigest of every label of `dataset`, in the order of its samples; digests of files are kept
// as those of images are (manifest.h).
absl::StatusOr<std::vector<Digest>> LabelDigests(const Dataset& dataset,
                                                 const std::string& cache_folder,
                                                 const HashWatch& watch = {});

}  // namespace reflux
