// How data sets lie on disk. Each published format is one row of a table: where the images of a
// split are, where an image's label is, what a label's values mean, the classes. Torch-free,
// thread-safe.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "distill/data/class_tables.h"
#include "distill/data/dataset.h"
#include "distill/data/label_values.h"

namespace reflux {

// In folders and lists `{}` stands for the split; all are relative to the root, but lists may be
// absolute.
struct LabelPlace {
  std::string folder;
  std::string suffix = ".png";  // added to the image's stem
  int values = 0;               // index into Layout::values
};
struct ImagePlace {
  std::string folder;
  std::string suffix;              // of an image's stem, not part of its label's
  std::vector<LabelPlace> labels;  // the first that exists is taken; none: unlabelled images
  std::vector<std::string> lists;  // files that name the split's images, the first that exists;
                                   // none: all images in the folder and below it
  std::map<std::string, std::string> splits;  // what a split is called on disk, if otherwise
};

struct Layout {
  std::string format;
  std::string expected;  // the layout in a line, for messages
  std::string root;
  std::vector<ImagePlace> places;
  std::vector<LabelValues> values;
  ClassTable classes;
  int ignore_index = 255;
};

// Every data.format. InvalidArgument for an unknown one, or when options of folders are wrong.
absl::StatusOr<Layout> LayoutOf(const DatasetOptions& options);
const std::vector<std::string>& DataFormats();

// The layout of one's own data (data.format folders).
absl::StatusOr<Layout> FoldersLayout(const DatasetOptions& options);

struct Listing {
  std::vector<SampleFiles> samples;   // by path
  std::vector<std::string> problems;  // an image without label, a listed name without image
};

// The samples of `split`. NotFound for a missing folder, list, or a split without images.
absl::StatusOr<Listing> ListSamples(const Layout& layout, const std::string& split);

}  // namespace reflux
