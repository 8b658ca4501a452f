// The parts of decide(): one function per command, each pure. Only commands.cc calls them.
#pragma once

#include "controller/commands.h"

namespace taffrail {

Decision decide_create_topics(const ClusterImage& image, const CreateTopicsCommand& command,
                              const DecisionContext& context);
Decision decide_delete_topics(const ClusterImage& image, const DeleteTopicsCommand& command);
Decision decide_create_partitions(const ClusterImage& image, const CreatePartitionsCommand& command,
                                  const DecisionContext& context);
Decision decide_move_partitions(const ClusterImage& image, const MovePartitionsCommand& command);
Decision decide_finish_move(const ClusterImage& image, const FinishMoveCommand& command);
Decision decide_alter_configs(const ClusterImage& image, const AlterConfigsCommand& command,
                              const DecisionContext& context);
Decision decide_register_broker(const ClusterImage& image, const RegisterBrokerCommand& command);
Decision decide_unregister_broker(const ClusterImage& image, const UnregisterBrokerCommand& command,
                                  const DecisionContext& context);
Decision decide_update_features(const ClusterImage& image, const UpdateFeaturesCommand& command);
Decision decide_change_voter(const ClusterImage& image, const ChangeVoterCommand& command, const DecisionContext& context);
Decision decide_alter_quotas(const ClusterImage& image, const AlterQuotasCommand& command);
Decision decide_allocate_producer_ids(const ClusterImage& image, const AllocateProducerIdsCommand& command);

}  // namespace taffrail
