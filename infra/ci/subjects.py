"""Whose tokens get which role: the subject claims of GitHub's and GitLab's pipelines. Pure.

A role is bound to whole claims, never to a pattern with an owner left open. A fork is another repository, and GitHub
gives the pull requests of forks no token at all
(https://docs.github.com/en/actions/reference/security/oidc, https://docs.github.com/en/actions/concepts/security/openid-connect);
GitLab's claim names the fork's own project (https://docs.gitlab.com/ci/secrets/id_token_authentication/).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from infra.ci.sections import CiBase, Github, Gitlab

Role = Literal["preview", "deploy"]
ROLES: Final[tuple[Role, ...]] = ("preview", "deploy")
GITHUB_ISSUER: Final = "https://token.actions.githubusercontent.com"
"""https://docs.github.com/en/actions/reference/security/oidc (iss)"""


@dataclass(frozen=True, slots=True)
class Subject:
    """One subject claim that gets a role. label: short, for names of resources. any_branch: the claim ends in a star
    that stands for the name of a branch."""

    label: str
    text: str
    any_branch: bool = False


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs tokens, and whom of them a role is for. condition: what else Google's federation asks of a token, in
    Common Expression Language; it knows all claims, the other clouds the subject alone."""

    kind: Literal["github", "gitlab"]
    url: str
    preview: tuple[Subject, ...]
    deploy: tuple[Subject, ...]
    condition: str

    @property
    def host(self) -> str:
        """The address without https://, which conditions on AWS begin with."""
        return self.url.removeprefix("https://")

    def subjects(self, role: Role) -> tuple[Subject, ...]:
        """The claims that get a role."""
        return self.preview if role == "preview" else self.deploy


def issuers(config: CiBase) -> tuple[Issuer, ...]:
    """Whose tokens are trusted, as the stack file says."""
    found = []
    if config.github is not None:
        found.append(github(config.github))
    if config.gitlab is not None:
        found.append(gitlab(config.gitlab))
    return tuple(found)


def github(repository: Github) -> Issuer:
    """Previews: pull requests of the repository's own branches, and runs on its branch, which look for drift. Deploys:
    jobs of the protected environments, whose reviewers let them through.

    With numbers the claim is the immutable one, which all repositories have that were made since July 2026
    (https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/,
    https://learn.microsoft.com/entra/workload-id/workload-identities-github-immutable-subjects).
    """
    owner, _, name = repository.repository.partition("/")
    numbered = repository.owner_id is not None and repository.repository_id is not None
    base = (
        f"repo:{owner}@{repository.owner_id}/{name}@{repository.repository_id}" if numbered else f"repo:{owner}/{name}"
    )
    who = (
        f"assertion.repository_id == '{repository.repository_id}'"
        if numbered
        else f"assertion.repository == '{repository.repository}'"
    )
    return Issuer(
        "github",
        GITHUB_ISSUER,
        (
            Subject("github-pull-request", f"{base}:pull_request"),
            Subject("github-branch", f"{base}:ref:refs/heads/{repository.branch}"),
        ),
        tuple(Subject(f"github-{one}", f"{base}:environment:{one}") for one in repository.environments),
        # What runs with the base's rights on a fork's behalf is refused besides.
        f"{who} && assertion.event_name != 'pull_request_target'",
    )


def gitlab(project: Gitlab) -> Issuer:
    """Previews: jobs on any branch of the project, merge requests among them. Deploys: jobs on the protected branch.

    https://docs.gitlab.com/ci/secrets/id_token_authentication/#token-payload (sub)
    """
    base = f"project_path:{project.project}:ref_type:branch:ref"
    return Issuer(
        "gitlab",
        project.url,
        (
            Subject("gitlab-branch", f"{base}:{project.branch}"),
            Subject("gitlab-branches", f"{base}:*", any_branch=True),
        ),
        (Subject("gitlab-branch", f"{base}:{project.branch}"),),
        f"assertion.project_path == '{project.project}'",
    )


def bound(config: CiBase, role: Role, *, patterns: bool = True) -> tuple[str, ...]:
    """All claims that get a role, as they are shown. patterns: whether the cloud can bind a role to any branch."""
    return tuple(
        one.text for issuer in issuers(config) for one in issuer.subjects(role) if patterns or not one.any_branch
    )
