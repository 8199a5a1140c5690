"""The workflows: GitHub's schema for them, zizmor for what an attacker would look for, and images that Lambda takes."""

from pathlib import Path

from .common import Faults


# Who makes or copies images, and what keeps them single manifests: Lambda takes no index.
SINGLE = {
    ".github/workflows/deploy.yaml": "provenance: false",
    "deploy/ecs/codepipeline.yaml": "docker build --provenance=false",
    "deploy/ecs/promote.sh": "imagetools create --prefer-index=false",
}


def check_manifests(texts, faults):
    for path, needed in SINGLE.items():
        faults.unless(needed in texts[path], path, f"must say `{needed}`, or Lambda refuses the image")


def main():
    faults = Faults()
    files = sorted(str(path) for path in Path(".github/workflows").glob("*.yaml"))
    faults.tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)
    faults.tool("zizmor", "--offline", "--no-progress", *files)
    check_manifests({path: Path(path).read_text() for path in SINGLE}, faults)
    faults.exit()


if __name__ == "__main__":
    main()
