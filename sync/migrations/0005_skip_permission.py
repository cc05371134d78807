from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('sync', '0004_drift_indexes'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='skippedorganization',
            options={
                'default_permissions': (),
                'permissions': [('skip_organizations', 'Can put organizations on the skip list and take them off')],
            },
        ),
    ]
