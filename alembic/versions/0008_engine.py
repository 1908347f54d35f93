"""Engine

A version that is being replaced may still run while this is applied: add first, remove in a later release.

Revision: 0008
After: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.domain.ids import new_id, utc_now

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("models", schema=None) as batch_op:
        batch_op.add_column(sa.Column("shadow_share", sa.Double(), nullable=True))

    activations = op.create_table(
        "model_activations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_model_activations_model_id_models"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_activations")),
    )
    with op.batch_alter_table("model_activations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_model_activations_model_id"), ["model_id"], unique=False)

    op.create_table(
        "shadow_scores",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("main_model_id", sa.Uuid(), nullable=False),
        sa.Column("genre", sa.String(length=64), nullable=False),
        sa.Column("main_genre", sa.String(length=64), nullable=False),
        sa.Column("agrees", sa.Boolean(), nullable=False),
        sa.Column("difference", sa.Double(), nullable=False),
        sa.Column("probabilities", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_shadow_scores_job_id_jobs"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["main_model_id"], ["models.id"], name=op.f("fk_shadow_scores_main_model_id_models"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_shadow_scores_model_id_models"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shadow_scores")),
    )
    with op.batch_alter_table("shadow_scores", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_shadow_scores_main_model_id"), ["main_model_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_shadow_scores_model_id"), ["model_id"], unique=False)
        batch_op.create_index("uq_shadow_scores_job_id_model_id", ["job_id", "model_id"], unique=True)
    _write_down_what_is_active(activations)


def _write_down_what_is_active(activations: sa.Table) -> None:
    """So that the first activation from now on can be rolled back."""
    models = sa.table("models", sa.column("id", sa.Uuid()), sa.column("active", sa.Boolean()))
    for model_id in op.get_bind().scalars(sa.select(models.c.id).where(models.c.active)).all():
        op.execute(activations.insert().values(id=new_id(), model_id=model_id, created_at=utc_now()))


def downgrade() -> None:
    with op.batch_alter_table("shadow_scores", schema=None) as batch_op:
        batch_op.drop_index("uq_shadow_scores_job_id_model_id")
        batch_op.drop_index(batch_op.f("ix_shadow_scores_model_id"))
        batch_op.drop_index(batch_op.f("ix_shadow_scores_main_model_id"))

    op.drop_table("shadow_scores")
    with op.batch_alter_table("model_activations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_model_activations_model_id"))

    op.drop_table("model_activations")
    with op.batch_alter_table("models", schema=None) as batch_op:
        batch_op.drop_column("shadow_share")
