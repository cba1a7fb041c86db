#include "tests/support/tiny_data_sets.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <opencv2/imgcodecs.hpp>
#include <vector>

namespace reflux {
namespace {

namespace fs = std::filesystem;

// One split of a format: `{}` stands for an image's name.
struct Split {
  std::string image, label;
  int left, right;   // label values
  std::string list;  // file that names the images; empty: none
};

std::vector<Split> SplitsOf(const std::string& format) {
  if (format == "camvid")
    return {{"train/{}.png", "trainannot/{}.png", 3, 8, ""},
            {"val/{}.png", "valannot/{}.png", 3, 8, ""}};
  if (format == "cityscapes") {
    return {{"leftImg8bit/train/aachen/{}_leftImg8bit.png",
             "gtFine/train/aachen/{}_gtFine_labelIds.png", 7, 26, ""},
            {"leftImg8bit/val/ulm/{}_leftImg8bit.png", "gtFine/val/ulm/{}_gtFine_labelIds.png", 7,
             26, ""}};
  }
  if (format == "voc") {
    return {{"JPEGImages/t{}.jpg", "SegmentationClassAug/t{}.png", 0, 15,
             "ImageSets/Segmentation/train_aug.txt"},
            {"JPEGImages/v{}.jpg", "SegmentationClassAug/v{}.png", 0, 15,
             "ImageSets/Segmentation/val.txt"}};
  }
  if (format == "ade20k") {
    return {{"images/training/{}.jpg", "annotations/training/{}.png", 1, 150, ""},
            {"images/validation/{}.jpg", "annotations/validation/{}.png", 1, 150, ""}};
  }
  if (format == "coco_stuff") {
    return {{"images/train2017/{}.jpg", "stuffthingmaps/train2017/{}.png", 0, 181, ""},
            {"images/val2017/{}.jpg", "stuffthingmaps/val2017/{}.png", 0, 181, ""}};
  }
  ADD_FAILURE() << "no tiny data set in the format " << format;
  return {};
}

std::string Named(std::string pattern, const std::string& name) {
  return pattern.replace(pattern.find("{}"), 2, name);
}

void WriteImage(const fs::path& path, const cv::Mat& image) {
  fs::create_directories(path.parent_path());
  ASSERT_TRUE(cv::imwrite(path.string(), image)) << path;
}

void WriteTinyCifar100(const std::string& root) {
  fs::create_directories(root);
  for (const char* name : {"train.bin", "test.bin"}) {
    cv::theRNG().state = 7;
    cv::Mat records(2, 2 + 3 * 32 * 32, CV_8UC1);
    cv::randu(records, 0, 256);
    for (int i = 0; i < records.rows; ++i) {
      records.at<uint8_t>(i, 0) = 1;                             // coarse label
      records.at<uint8_t>(i, 1) = static_cast<uint8_t>(99 * i);  // fine label
    }
    std::ofstream(fs::path(root) / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(records.data), records.rows * records.cols);
  }
}

}  // namespace

void WriteTinyDataSet(const std::string& format, const std::string& root, int height, int width) {
  if (format == "cifar100") return WriteTinyCifar100(root);
  for (const Split& split : SplitsOf(format)) {
    for (const char* name : {"000001", "000002"}) {
      cv::Mat image(height, width, CV_8UC3), label(height, width, CV_8UC1, cv::Scalar(split.left));
      cv::theRNG().state = 7;
      cv::randu(image, 0, 256);
      label.colRange(width / 2, width).setTo(split.right);
      const std::string image_name = Named(split.image, name);
      WriteImage(fs::path(root) / image_name, image);
      WriteImage(fs::path(root) / Named(split.label, name), label);
      if (split.list.empty()) continue;
      const fs::path list = fs::path(root) / split.list;
      fs::create_directories(list.parent_path());
      std::ofstream(list, std::ios::app) << fs::path(image_name).stem().string() << "\n";
    }
  }
}

}  // namespace reflux
