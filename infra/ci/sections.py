"""The stack file of a cloud's pipeline roles, as frozen pydantic models: what is under `spillway:ci`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from infra.azure.sections import AzureRegionName, GroupName, SubscriptionId
from infra.gcp.sections import GcpRegionName, ProjectId
from infra.sections import AccountId, AwsRegionName, Listed, Section, TagKey, TagValue, text

Cloud = Literal["aws", "azure", "gcp"]

# https://docs.github.com/en/actions/reference/security/oidc : owner and name as they are in the subject claim
Repository = Annotated[
    str,
    text(
        r"^[A-Za-z0-9](-?[A-Za-z0-9]){0,38}/[A-Za-z0-9._-]{1,100}$",
        "a repository as owner/name, spelled as GitHub does",
    ),
]
# A colon or a star would end the name's part of the subject claim, or widen it.
Environment = Annotated[
    str, text(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", "an environment: up to 100 letters, digits, dots, _ and -")
]
# https://git-scm.com/docs/git-check-ref-format, without what has a meaning in a claim or in a policy
Branch = Annotated[
    str, text(r"^[A-Za-z0-9_][A-Za-z0-9._/-]{0,99}$", "one branch: up to 100 letters, digits and ._/-, no wildcards")
]
GitlabUrl = Annotated[
    str, text(r"^https://([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$", "GitLab's address such as https://gitlab.com")
]
GitlabProject = Annotated[
    str,
    text(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$", "a project with its groups: group/project"),
]
StackName = Annotated[
    str, text(r"^[a-z]+(-[a-z0-9]+)+$", "the name of a region stack, <cloud>-<region>, such as aws-us-east-1")
]
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BucketName = Annotated[
    str,
    text(r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", "a bucket: 3 to 63 lower-case letters, digits, dots and hyphens"),
]
# https://docs.cloud.google.com/storage/docs/buckets#naming: underscores as well
GcsBucketName = Annotated[
    str,
    text(r"^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", "a bucket: 3 to 63 lower-case letters, digits, dots, _ and -"),
]
# https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id-key-ARN
KmsKeyArn = Annotated[
    str,
    text(
        r"^arn:aws(-[a-z]+)*:kms:[a-z0-9-]+:[0-9]{12}:key/(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$",
        "the ARN of a KMS key, arn:aws:kms:REGION:ACCOUNT:key/ID",
    ),
]
ZoneId = Annotated[str, text(r"^Z[A-Z0-9]{1,31}$", "the id of a hosted zone such as Z0123456789ABCDEFGHIJ")]
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftstorage
AccountName = Annotated[str, text(r"^[a-z0-9]{3,24}$", "a storage account: 3 to 24 lower-case letters and digits")]
ContainerName = Annotated[
    str, text(r"^[a-z0-9](-?[a-z0-9]){2,62}$", "a container: 3 to 63 lower-case letters, digits and single hyphens")
]

FIRST_ID: Final = 1
LAST_ID: Final = 2**53


class Github(Section):
    """The repository whose workflows get the roles; forks are other repositories, and get none."""

    repository: Repository = Field(examples=["example-org/spillway"])
    """Owner and name of the repository, as its tokens spell them."""
    owner_id: int | None = Field(default=None, ge=FIRST_ID, le=LAST_ID, examples=[9919])
    """Number of the owner, where the repository has immutable subject claims; with repositoryId."""
    repository_id: int | None = Field(default=None, ge=FIRST_ID, le=LAST_ID, examples=[1296269])
    """Number of the repository, where it has immutable subject claims; with ownerId."""
    branch: Branch = "main"
    """The branch whose scheduled runs look for drift."""
    environments: Listed[Environment] = Field(default=("production",), min_length=1, max_length=10)
    """Environments with required reviewers whose jobs deploy; nothing else gets the deploy role."""


class Gitlab(Section):
    """The project whose jobs get the roles; forks are other projects, and get none."""

    url: GitlabUrl = "https://gitlab.com"
    """GitLab's own address, which issues the tokens."""
    project: GitlabProject = Field(examples=["example-group/spillway"])
    """Path of the project."""
    branch: Branch = "main"
    """The protected branch whose jobs deploy; GitLab's subject claim names a branch, never an environment."""


class S3State(Section):
    """Where Pulumi keeps its states: previews read it, deploys write it."""

    bucket: BucketName = Field(examples=["example-pulumi-state"])
    """The bucket, which stands already."""
    key: KmsKeyArn | None = None
    """The KMS key that encrypts the bucket, or the secrets in states; null where there is none."""


class GcsState(Section):
    """Where Pulumi keeps its states: previews read it, deploys write it."""

    bucket: GcsBucketName = Field(examples=["example-pulumi-state"])
    """The bucket, which stands already in this project."""


class BlobState(Section):
    """Where Pulumi keeps its states: previews read it, deploys write it."""

    resource_group: GroupName = Field(examples=["pulumi-state"])
    """The group of the storage account."""
    storage_account: AccountName = Field(examples=["examplepulumistate"])
    """The storage account, which stands already in this subscription."""
    container: ContainerName = Field(default="state")
    """The container."""


class CiBase(Section):
    """What the pipeline roles of every cloud have."""

    CLOUD: ClassVar[Cloud]
    """What `cloud` says."""

    cloud: str
    """The cloud."""
    account: str
    """The only account of the cloud that the roles are for."""
    region: str
    """Where the provider works."""
    stacks: Listed[StackName] = Field(min_length=1, max_length=50, examples=[["aws-us-east-1"]])
    """The region stacks that these roles preview and deploy; all of this cloud and account."""
    grants: bool = False
    """Whether the deploy role may make and change the nodes' own rights; otherwise a person brings a region up first,
    and a pipeline then changes all else."""
    github: Github | None = None
    """The GitHub repository; null where there is none."""
    gitlab: Gitlab | None = None
    """The GitLab project; null where there is none."""
    state: Section | None = None
    """Pulumi's states, where this cloud keeps them; null where they are elsewhere."""

    @property
    def stack_name(self) -> str:
        """`ci-<cloud>`."""
        return f"ci-{self.cloud}"

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions of `stacks`, sorted."""
        return tuple(sorted({stack.removeprefix(f"{self.cloud}-") for stack in self.stacks}))


class AwsCi(CiBase):
    """Pipeline roles of one AWS account: everything under `spillway:ci` with `cloud: aws`."""

    CLOUD = "aws"
    cloud: Literal["aws"]
    """The cloud."""
    account: AccountId = Field(examples=["123456789012"])
    """The only AWS account that the roles are for, in quotes."""
    region: AwsRegionName = Field(examples=["us-east-1"])
    """Where the provider works; roles are the account's, in no region."""
    state: S3State | None = None
    """Pulumi's states in S3; null where they are elsewhere."""
    existing_providers: Listed[Literal["github", "gitlab"]] = Field(default=(), max_length=2)
    """Identity providers that the account has already, since it takes one for each address."""
    zones: Listed[ZoneId] = Field(default=(), max_length=20, examples=[["Z0123456789ABCDEFGHIJ"]])
    """Hosted zones of the global stack that deploys may write; none where DNS is elsewhere or not for pipelines."""
    tags: dict[TagKey, TagValue] = Field(default_factory=dict, max_length=30)
    """Tags on everything, besides the stack's own."""


class AzureCi(CiBase):
    """Pipeline identities of one Azure subscription: everything under `spillway:ci` with `cloud: azure`."""

    CLOUD = "azure"
    cloud: Literal["azure"]
    """The cloud."""
    account: SubscriptionId
    """The only subscription that the roles are for."""
    region: AzureRegionName = Field(examples=["eastus"])
    """Where the identities and their group lie."""
    state: BlobState | None = None
    """Pulumi's states in Blob Storage; null where they are elsewhere."""
    dns: bool = False
    """Whether deploys may write zones and Traffic Manager profiles, which is where the global stack on Azure is."""
    tags: dict[TagKey, TagValue] = Field(default_factory=dict, max_length=30)
    """Tags on everything, besides the stack's own."""


class GcpCi(CiBase):
    """Pipeline accounts of one Google Cloud project: everything under `spillway:ci` with `cloud: gcp`."""

    CLOUD = "gcp"
    cloud: Literal["gcp"]
    """The cloud."""
    account: ProjectId = Field(examples=["example-project"])
    """The only project that the roles are for."""
    region: GcpRegionName = Field(examples=["us-central1"])
    """Where the provider works; accounts and pools are the project's, in no region."""
    state: GcsState | None = None
    """Pulumi's states in Cloud Storage; null where they are elsewhere."""


CiConfig = AwsCi | AzureCi | GcpCi
"""Told apart by `cloud`."""
CLOUDS: Final[dict[str, type[CiConfig]]] = {model.CLOUD: model for model in (AwsCi, AzureCi, GcpCi)}
