// A tiny data set in the SegNet layout in a folder of its own.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <opencv2/imgcodecs.hpp>
#include <string>

namespace reflux {

class ScratchCamVid {
 public:
  ScratchCamVid() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    root = testing::TempDir() + "camvid_" + info->test_suite_name() + "_" + info->name();
    std::filesystem::remove_all(root);
    for (const char* folder : {"train", "trainannot", "val", "valannot"}) {
      std::filesystem::create_directories(root + "/" + folder);
    }
  }
  ~ScratchCamVid() { std::filesystem::remove_all(root); }

  void AddImage(const std::string& name, int height = 24, int width = 32, int shade = 90) {
    cv::imwrite(root + "/" + name, cv::Mat(height, width, CV_8UC3, cv::Scalar(shade, 120, 150)));
  }
  void AddLabel(const std::string& name, int value = 3, int height = 24, int width = 32) {
    cv::imwrite(root + "/" + name, cv::Mat(height, width, CV_8UC1, cv::Scalar(value)));
  }
  void AddPair(const std::string& stem) {
    AddImage("train/" + stem + ".jpg");
    AddLabel("trainannot/" + stem + ".png");
  }
  // Cuts the file to `bytes`.
  void Truncate(const std::string& name, int64_t bytes) {
    std::filesystem::resize_file(root + "/" + name, bytes);
  }

  std::string root;
};

}  // namespace reflux
