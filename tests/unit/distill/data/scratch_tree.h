// A tiny data set in a folder of its own, deleted at the end.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <opencv2/imgcodecs.hpp>
#include <string>

namespace reflux {

class ScratchTree {
 public:
  explicit ScratchTree(const std::string& kind = "tree") {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    root = testing::TempDir() + kind + "_" + info->test_suite_name() + "_" + info->name();
    std::filesystem::remove_all(root);
    std::filesystem::create_directories(root);
  }
  ~ScratchTree() { std::filesystem::remove_all(root); }

  void AddImage(const std::string& name, int height = 24, int width = 32, int shade = 90) {
    cv::imwrite(Path(name), cv::Mat(height, width, CV_8UC3, cv::Scalar(shade, 120, 150)));
  }
  // Every pixel is `value`; `type` CV_8UC1 or CV_16UC1.
  void AddLabel(const std::string& name, int value = 3, int height = 24, int width = 32,
                int type = CV_8UC1) {
    cv::imwrite(Path(name), cv::Mat(height, width, type, cv::Scalar(value)));
  }
  void AddText(const std::string& name, const std::string& text) {
    std::ofstream(Path(name), std::ios::binary) << text;
  }
  // Cuts the file to `bytes`.
  void Truncate(const std::string& name, int64_t bytes) {
    std::filesystem::resize_file(root + "/" + name, bytes);
  }

  std::string root;

 private:
  std::string Path(const std::string& name) const {
    const std::filesystem::path path = std::filesystem::path(root) / name;
    std::filesystem::create_directories(path.parent_path());
    return path.string();
  }
};

}  // namespace reflux
