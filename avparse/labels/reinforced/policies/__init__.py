"""Label policies, which estimate how probable it is that a given label is right in each modality of a video.

``policy(features, labels, summary) -> logits [2, B, C]``, audio then visual; ``sigmoid(logit)`` is the probability of
keeping the label. All policies have this signature; :data:`POLICIES` lists them by name.
"""

from avparse.labels.reinforced.policies.evidence import EvidencePolicy
from avparse.labels.reinforced.policies.han import Policy
from avparse.labels.reinforced.policies.policy import KeepPolicy, PolicyConfig
from avparse.labels.reinforced.policies.pooled import PooledPolicy
from avparse.labels.reinforced.policies.prior import PriorPolicy

POLICIES: dict[str, type[KeepPolicy]] = {
    "han": Policy,
    "pooled": PooledPolicy,
    "prior": PriorPolicy,
    "evidence": EvidencePolicy,
}

__all__ = ["POLICIES", "EvidencePolicy", "KeepPolicy", "Policy", "PolicyConfig", "PooledPolicy", "PriorPolicy"]
