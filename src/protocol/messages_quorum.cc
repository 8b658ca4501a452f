// Who votes, what is agreed on, who may do what and how much: the walks over these messages.
#include "protocol/add_raft_voter.h"
#include "protocol/alter_client_quotas.h"
#include "protocol/describe_acls.h"
#include "protocol/describe_client_quotas.h"
#include "protocol/describe_quorum.h"
#include "protocol/describe_user_scram_credentials.h"
#include "protocol/list_config_resources.h"
#include "protocol/remove_raft_voter.h"
#include "protocol/unregister_broker.h"
#include "protocol/update_features.h"
#include "protocol/walks.h"

namespace taffrail::protocol {

TAFFRAIL_REQUEST(AddRaftVoterRequest);
TAFFRAIL_RESPONSE(AddRaftVoterResponse);

TAFFRAIL_REQUEST(AlterClientQuotasRequest);
TAFFRAIL_RESPONSE(AlterClientQuotasResponse);

TAFFRAIL_REQUEST(DescribeAclsRequest);
TAFFRAIL_RESPONSE(DescribeAclsResponse);

TAFFRAIL_REQUEST(DescribeClientQuotasRequest);
TAFFRAIL_RESPONSE(DescribeClientQuotasResponse);

TAFFRAIL_REQUEST(DescribeQuorumRequest);
TAFFRAIL_RESPONSE(DescribeQuorumResponse);

TAFFRAIL_REQUEST(DescribeUserScramCredentialsRequest);
TAFFRAIL_RESPONSE(DescribeUserScramCredentialsResponse);

TAFFRAIL_REQUEST(ListConfigResourcesRequest);
TAFFRAIL_RESPONSE(ListConfigResourcesResponse);

TAFFRAIL_REQUEST(RemoveRaftVoterRequest);
TAFFRAIL_RESPONSE(RemoveRaftVoterResponse);

TAFFRAIL_REQUEST(UnregisterBrokerRequest);
TAFFRAIL_RESPONSE(UnregisterBrokerResponse);

TAFFRAIL_REQUEST(UpdateFeaturesRequest);
TAFFRAIL_RESPONSE(UpdateFeaturesResponse);

}  // namespace taffrail::protocol
