#include "common/spec/yaml_document.h"

#include <yaml-cpp/eventhandler.h>

#include <sstream>

namespace reflux {
namespace {

// Where the newest document's content begins.
class DocumentLine : public YAML::EventHandler {
 public:
  int line() const { return line_; }

  void OnDocumentStart(const YAML::Mark& mark) override { begun_ = false; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { Note(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override { Note(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Note(mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    Note(mark);
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    Note(mark);
  }
  void OnMapEnd() override {}

 private:
  void Note(const YAML::Mark& mark) {
    if (!begun_) line_ = mark.line + 1;
    begun_ = true;
  }

  bool begun_ = false;
  int line_ = 1;
};

}  // namespace

std::optional<int> LineAfterDocument(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentLine document;
  if (!parser.HandleNextDocument(document) || !parser.HandleNextDocument(document)) return {};
  return document.line();
}

}  // namespace reflux
