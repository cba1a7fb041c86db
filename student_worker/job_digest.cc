#include "student_worker/job_digest.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "common/base/digest.h"

namespace reflux {

std::string JobDigest(const v1::JobSpec& spec, const std::string& weights) {
  v1::JobSpec relevant = spec;
  relevant.clear_name();
  relevant.clear_run();
  for (auto clear : {&v1::DataSpec::clear_root, &v1::DataSpec::clear_images,
                     &v1::DataSpec::clear_labels, &v1::DataSpec::clear_decoded_mib}) {
    (relevant.mutable_data()->*clear)();
  }
  relevant.mutable_targets()->clear_cache();
  relevant.mutable_targets()->clear_read();
  for (auto& [name, teacher] : *relevant.mutable_teachers()) teacher.clear_checkpoint();
  relevant.mutable_student()->clear_init();
  relevant.mutable_student()->clear_backbone();
  v1::TrainSpec* train = relevant.mutable_train();
  for (auto clear : {&v1::TrainSpec::clear_eval_every, &v1::TrainSpec::clear_checkpoint_every,
                     &v1::TrainSpec::clear_keep_checkpoints, &v1::TrainSpec::clear_prefetch_depth,
                     &v1::TrainSpec::clear_loader_threads, &v1::TrainSpec::clear_prefetch_mib,
                     &v1::TrainSpec::clear_log_every}) {
    (train->*clear)();
  }
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  relevant.SerializeToCodedStream(&coded);
  coded.Trim();
  bytes += weights;
  return Sha256::Of(bytes).Hex();
}

}  // namespace reflux
