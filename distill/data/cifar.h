// CIFAR-10 and CIFAR-100 in their official binary form (www.cs.toronto.edu/~kriz/cifar.html).
// Torch-free, thread-safe.
//
// A file is a row of records without header. A record of CIFAR-10 is one byte of label (0..9), of
// CIFAR-100 a byte of coarse label (0..19) and one of fine label (0..99; the one that counts); then
// 3072 bytes: 32x32 red, green and blue, row by row. Files of the splits, below the root:
//   cifar10   train: data_batch_1.bin ... (as many as there are); val, test: test_batch.bin;
//             names of the classes in batches.meta.txt
//   cifar100  train: train.bin; val, test: test.bin; names in fine_label_names.txt
// The sets publish no validation split: val is the test split.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "distill/data/dataset.h"

namespace reflux {

inline constexpr int kCifarSide = 32;

bool IsCifar(absl::string_view format);  // cifar10 or cifar100

// A sample's locator is "FILE.bin#N", record N from 0; its encoded image a PPM (ppm.h). Labels are
// read when the set is opened. NotFound for a missing file or an unknown split; DataLoss for a file
// that is no whole number of records, or a label that is no class.
absl::StatusOr<std::unique_ptr<Dataset>> OpenCifar(const DatasetOptions& options);

// Whether `path` is that of a record, and the file that holds it.
bool IsCifarRecord(absl::string_view path);
std::string CifarFile(absl::string_view path);

// The image of the record `path` below `root`, as a PPM. NotFound for no such record.
absl::StatusOr<std::string> ReadCifarImage(const std::string& root, const std::string& path);

// The preprocessing that CIFAR's code bases share (FRSKD's among them).
Preprocessing CifarPreprocessing();

}  // namespace reflux
